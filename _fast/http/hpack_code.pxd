"""The Huffman code of HPACK as tables (RFC 7541 appendix B), which the C compiler makes from the lists here.

The code is canonical: with each length the codes go on from those before, in the order of the symbols. EOS is in no
table. A test compares the lists with those of `hpack`. Called by `hpack_huffman` alone.
"""
from tulle._fast.base.types cimport uint8_t, uint32_t

cdef extern from *:
    """
    #ifndef TULLE_HTTP_HUFFMAN_H
    #define TULLE_HTTP_HUFFMAN_H
    #include <stdint.h>
    /* symbol, code, length */
    #define HUFFMAN_MIDDLE(CODE) \\
        CODE(58, 0x5c, 7) CODE(66, 0x5d, 7) CODE(67, 0x5e, 7) CODE(68, 0x5f, 7) CODE(69, 0x60, 7) \\
        CODE(70, 0x61, 7) CODE(71, 0x62, 7) CODE(72, 0x63, 7) CODE(73, 0x64, 7) CODE(74, 0x65, 7) \\
        CODE(75, 0x66, 7) CODE(76, 0x67, 7) CODE(77, 0x68, 7) CODE(78, 0x69, 7) CODE(79, 0x6a, 7) \\
        CODE(80, 0x6b, 7) CODE(81, 0x6c, 7) CODE(82, 0x6d, 7) CODE(83, 0x6e, 7) CODE(84, 0x6f, 7) \\
        CODE(85, 0x70, 7) CODE(86, 0x71, 7) CODE(87, 0x72, 7) CODE(89, 0x73, 7) CODE(106, 0x74, 7) \\
        CODE(107, 0x75, 7) CODE(113, 0x76, 7) CODE(118, 0x77, 7) CODE(119, 0x78, 7) CODE(120, 0x79, 7) \\
        CODE(121, 0x7a, 7) CODE(122, 0x7b, 7) CODE(38, 0xf8, 8) CODE(42, 0xf9, 8) CODE(44, 0xfa, 8) \\
        CODE(59, 0xfb, 8) CODE(88, 0xfc, 8) CODE(90, 0xfd, 8) CODE(33, 0x3f8, 10) CODE(34, 0x3f9, 10) \\
        CODE(40, 0x3fa, 10) CODE(41, 0x3fb, 10) CODE(63, 0x3fc, 10) CODE(39, 0x7fa, 11) CODE(43, 0x7fb, 11) \\
        CODE(124, 0x7fc, 11)
    #define HUFFMAN_LONG(CODE) \\
        CODE(35, 0xffa, 12) CODE(62, 0xffb, 12) CODE(0, 0x1ff8, 13) CODE(36, 0x1ff9, 13) CODE(64, 0x1ffa, 13) \\
        CODE(91, 0x1ffb, 13) CODE(93, 0x1ffc, 13) CODE(126, 0x1ffd, 13) CODE(94, 0x3ffc, 14) CODE(125, 0x3ffd, 14) \\
        CODE(60, 0x7ffc, 15) CODE(96, 0x7ffd, 15) CODE(123, 0x7ffe, 15) CODE(92, 0x7fff0, 19) \\
        CODE(195, 0x7fff1, 19) CODE(208, 0x7fff2, 19) CODE(128, 0xfffe6, 20) CODE(130, 0xfffe7, 20) \\
        CODE(131, 0xfffe8, 20) CODE(162, 0xfffe9, 20) CODE(184, 0xfffea, 20) CODE(194, 0xfffeb, 20) \\
        CODE(224, 0xfffec, 20) CODE(226, 0xfffed, 20) CODE(153, 0x1fffdc, 21) CODE(161, 0x1fffdd, 21) \\
        CODE(167, 0x1fffde, 21) CODE(172, 0x1fffdf, 21) CODE(176, 0x1fffe0, 21) CODE(177, 0x1fffe1, 21) \\
        CODE(179, 0x1fffe2, 21) CODE(209, 0x1fffe3, 21) CODE(216, 0x1fffe4, 21) CODE(217, 0x1fffe5, 21) \\
        CODE(227, 0x1fffe6, 21) CODE(229, 0x1fffe7, 21) CODE(230, 0x1fffe8, 21) CODE(129, 0x3fffd2, 22) \\
        CODE(132, 0x3fffd3, 22) CODE(133, 0x3fffd4, 22) CODE(134, 0x3fffd5, 22) CODE(136, 0x3fffd6, 22) \\
        CODE(146, 0x3fffd7, 22) CODE(154, 0x3fffd8, 22) CODE(156, 0x3fffd9, 22) CODE(160, 0x3fffda, 22) \\
        CODE(163, 0x3fffdb, 22) CODE(164, 0x3fffdc, 22) CODE(169, 0x3fffdd, 22) CODE(170, 0x3fffde, 22) \\
        CODE(173, 0x3fffdf, 22) CODE(178, 0x3fffe0, 22) CODE(181, 0x3fffe1, 22) CODE(185, 0x3fffe2, 22) \\
        CODE(186, 0x3fffe3, 22) CODE(187, 0x3fffe4, 22) CODE(189, 0x3fffe5, 22) CODE(190, 0x3fffe6, 22) \\
        CODE(196, 0x3fffe7, 22) CODE(198, 0x3fffe8, 22) CODE(228, 0x3fffe9, 22) CODE(232, 0x3fffea, 22) \\
        CODE(233, 0x3fffeb, 22) CODE(1, 0x7fffd8, 23) CODE(135, 0x7fffd9, 23) CODE(137, 0x7fffda, 23) \\
        CODE(138, 0x7fffdb, 23) CODE(139, 0x7fffdc, 23) CODE(140, 0x7fffdd, 23) CODE(141, 0x7fffde, 23) \\
        CODE(143, 0x7fffdf, 23) CODE(147, 0x7fffe0, 23) CODE(149, 0x7fffe1, 23) CODE(150, 0x7fffe2, 23) \\
        CODE(151, 0x7fffe3, 23) CODE(152, 0x7fffe4, 23) CODE(155, 0x7fffe5, 23) CODE(157, 0x7fffe6, 23) \\
        CODE(158, 0x7fffe7, 23) CODE(165, 0x7fffe8, 23) CODE(166, 0x7fffe9, 23) CODE(168, 0x7fffea, 23) \\
        CODE(174, 0x7fffeb, 23) CODE(175, 0x7fffec, 23) CODE(180, 0x7fffed, 23) CODE(182, 0x7fffee, 23) \\
        CODE(183, 0x7fffef, 23) CODE(188, 0x7ffff0, 23) CODE(191, 0x7ffff1, 23) CODE(197, 0x7ffff2, 23) \\
        CODE(231, 0x7ffff3, 23) CODE(239, 0x7ffff4, 23) CODE(9, 0xffffea, 24) CODE(142, 0xffffeb, 24) \\
        CODE(144, 0xffffec, 24) CODE(145, 0xffffed, 24) CODE(148, 0xffffee, 24) CODE(159, 0xffffef, 24) \\
        CODE(171, 0xfffff0, 24) CODE(206, 0xfffff1, 24) CODE(215, 0xfffff2, 24) CODE(225, 0xfffff3, 24) \\
        CODE(236, 0xfffff4, 24) CODE(237, 0xfffff5, 24) CODE(199, 0x1ffffec, 25) CODE(207, 0x1ffffed, 25) \\
        CODE(234, 0x1ffffee, 25) CODE(235, 0x1ffffef, 25) CODE(192, 0x3ffffe0, 26) CODE(193, 0x3ffffe1, 26) \\
        CODE(200, 0x3ffffe2, 26) CODE(201, 0x3ffffe3, 26) CODE(202, 0x3ffffe4, 26) CODE(205, 0x3ffffe5, 26) \\
        CODE(210, 0x3ffffe6, 26) CODE(213, 0x3ffffe7, 26) CODE(218, 0x3ffffe8, 26) CODE(219, 0x3ffffe9, 26) \\
        CODE(238, 0x3ffffea, 26) CODE(240, 0x3ffffeb, 26) CODE(242, 0x3ffffec, 26) CODE(243, 0x3ffffed, 26) \\
        CODE(255, 0x3ffffee, 26) CODE(203, 0x7ffffde, 27) CODE(204, 0x7ffffdf, 27) CODE(211, 0x7ffffe0, 27) \\
        CODE(212, 0x7ffffe1, 27) CODE(214, 0x7ffffe2, 27) CODE(221, 0x7ffffe3, 27) CODE(222, 0x7ffffe4, 27) \\
        CODE(223, 0x7ffffe5, 27) CODE(241, 0x7ffffe6, 27) CODE(244, 0x7ffffe7, 27) CODE(245, 0x7ffffe8, 27) \\
        CODE(246, 0x7ffffe9, 27) CODE(247, 0x7ffffea, 27) CODE(248, 0x7ffffeb, 27) CODE(250, 0x7ffffec, 27) \\
        CODE(251, 0x7ffffed, 27) CODE(252, 0x7ffffee, 27) CODE(253, 0x7ffffef, 27) CODE(254, 0x7fffff0, 27) \\
        CODE(2, 0xfffffe2, 28) CODE(3, 0xfffffe3, 28) CODE(4, 0xfffffe4, 28) CODE(5, 0xfffffe5, 28) \\
        CODE(6, 0xfffffe6, 28) CODE(7, 0xfffffe7, 28) CODE(8, 0xfffffe8, 28) CODE(11, 0xfffffe9, 28) \\
        CODE(12, 0xfffffea, 28) CODE(14, 0xfffffeb, 28) CODE(15, 0xfffffec, 28) CODE(16, 0xfffffed, 28) \\
        CODE(17, 0xfffffee, 28) CODE(18, 0xfffffef, 28) CODE(19, 0xffffff0, 28) CODE(20, 0xffffff1, 28) \\
        CODE(21, 0xffffff2, 28) CODE(23, 0xffffff3, 28) CODE(24, 0xffffff4, 28) CODE(25, 0xffffff5, 28) \\
        CODE(26, 0xffffff6, 28) CODE(27, 0xffffff7, 28) CODE(28, 0xffffff8, 28) CODE(29, 0xffffff9, 28) \\
        CODE(30, 0xffffffa, 28) CODE(31, 0xffffffb, 28) CODE(127, 0xffffffc, 28) CODE(220, 0xffffffd, 28) \\
        CODE(249, 0xffffffe, 28) CODE(10, 0x3ffffffc, 30) CODE(13, 0x3ffffffd, 30) CODE(22, 0x3ffffffe, 30)
    #define HUFFMAN_FIRST_5(CODE) \\
        CODE(48, 0x0) CODE(49, 0x1) CODE(50, 0x2) CODE(97, 0x3) CODE(99, 0x4) CODE(101, 0x5) CODE(105, 0x6) \\
        CODE(111, 0x7) CODE(115, 0x8) CODE(116, 0x9)
    #define HUFFMAN_FIRST_6(CODE) \\
        CODE(32, 0x14) CODE(37, 0x15) CODE(45, 0x16) CODE(46, 0x17) CODE(47, 0x18) CODE(51, 0x19) CODE(52, 0x1a) \\
        CODE(53, 0x1b) CODE(54, 0x1c) CODE(55, 0x1d) CODE(56, 0x1e) CODE(57, 0x1f) CODE(61, 0x20) CODE(65, 0x21) \\
        CODE(95, 0x22) CODE(98, 0x23) CODE(100, 0x24) CODE(102, 0x25) CODE(103, 0x26) CODE(104, 0x27) \\
        CODE(108, 0x28) CODE(109, 0x29) CODE(110, 0x2a) CODE(112, 0x2b) CODE(114, 0x2c) CODE(117, 0x2d)
    #define HUFFMAN_SECOND_5(PAIR, first, before) \\
        PAIR(first, before, 48, 0x0) PAIR(first, before, 49, 0x1) PAIR(first, before, 50, 0x2) \\
        PAIR(first, before, 97, 0x3) PAIR(first, before, 99, 0x4) PAIR(first, before, 101, 0x5) \\
        PAIR(first, before, 105, 0x6) PAIR(first, before, 111, 0x7) PAIR(first, before, 115, 0x8) \\
        PAIR(first, before, 116, 0x9)
    #define HUFFMAN_SECOND_6(PAIR, first, before) \\
        PAIR(first, before, 32, 0x14) PAIR(first, before, 37, 0x15) PAIR(first, before, 45, 0x16) \\
        PAIR(first, before, 46, 0x17) PAIR(first, before, 47, 0x18) PAIR(first, before, 51, 0x19) \\
        PAIR(first, before, 52, 0x1a) PAIR(first, before, 53, 0x1b) PAIR(first, before, 54, 0x1c) \\
        PAIR(first, before, 55, 0x1d) PAIR(first, before, 56, 0x1e) PAIR(first, before, 57, 0x1f) \\
        PAIR(first, before, 61, 0x20) PAIR(first, before, 65, 0x21) PAIR(first, before, 95, 0x22) \\
        PAIR(first, before, 98, 0x23) PAIR(first, before, 100, 0x24) PAIR(first, before, 102, 0x25) \\
        PAIR(first, before, 103, 0x26) PAIR(first, before, 104, 0x27) PAIR(first, before, 108, 0x28) \\
        PAIR(first, before, 109, 0x29) PAIR(first, before, 110, 0x2a) PAIR(first, before, 112, 0x2b) \\
        PAIR(first, before, 114, 0x2c) PAIR(first, before, 117, 0x2d)

    typedef struct { uint32_t code; uint32_t length; } HuffmanCode;
    #define HUFFMAN_CODE(symbol, code, length) [symbol] = {code, length},
    #define HUFFMAN_CODE_5(symbol, code) [symbol] = {code, 5},
    #define HUFFMAN_CODE_6(symbol, code) [symbol] = {code, 6},
    static const HuffmanCode huffman_codes[256] = {
        HUFFMAN_FIRST_5(HUFFMAN_CODE_5) HUFFMAN_FIRST_6(HUFFMAN_CODE_6)
        HUFFMAN_MIDDLE(HUFFMAN_CODE) HUFFMAN_LONG(HUFFMAN_CODE)
    };

    /* By the next 11 bits: two symbols where both fit, else one; nothing where the first is longer.
       The codes of 5 bits are 0 to 9, those of 6 bits 0x14 to 0x2d, and longer ones begin with 0x2e. */
    typedef struct { uint8_t first; uint8_t second; uint8_t bits; uint8_t count; } HuffmanStep;
    #define HUFFMAN_5_5(first, before, second, code) \\
        [(before) << 6 | (code) << 1 ... (before) << 6 | (code) << 1 | 1] = {first, second, 10, 2},
    #define HUFFMAN_5_6(first, before, second, code) [(before) << 6 | (code)] = {first, second, 11, 2},
    #define HUFFMAN_6_5(first, before, second, code) [(before) << 5 | (code)] = {first, second, 11, 2},
    #define HUFFMAN_STEP_5(symbol, code) \\
        HUFFMAN_SECOND_5(HUFFMAN_5_5, symbol, code) HUFFMAN_SECOND_6(HUFFMAN_5_6, symbol, code) \\
        [(code) << 6 | 0x2e ... (code) << 6 | 0x3f] = {symbol, 0, 5, 1},
    #define HUFFMAN_STEP_6(symbol, code) \\
        HUFFMAN_SECOND_5(HUFFMAN_6_5, symbol, code) [(code) << 5 | 10 ... (code) << 5 | 31] = {symbol, 0, 6, 1},
    #define HUFFMAN_STEP(symbol, code, length) \\
        [(code) << (11 - length) ... (((code) + 1) << (11 - length)) - 1] = {symbol, 0, length, 1},
    static const HuffmanStep huffman_steps[2048] __attribute__((unused)) = {
        HUFFMAN_FIRST_5(HUFFMAN_STEP_5) HUFFMAN_FIRST_6(HUFFMAN_STEP_6) HUFFMAN_MIDDLE(HUFFMAN_STEP)
    };

    /* The lengths above 11: the first code of each, where its symbols begin, the last 32 bits that begin with one */
    typedef struct { uint32_t length; uint32_t symbols; uint32_t first; uint32_t last; } HuffmanRange;
    static const HuffmanRange huffman_ranges[15] __attribute__((unused)) = {
        {12, 0, 0xffa, 0xffbfffff}, {13, 2, 0x1ff8, 0xffefffff}, {14, 8, 0x3ffc, 0xfff7ffff},
        {15, 10, 0x7ffc, 0xfffdffff}, {19, 13, 0x7fff0, 0xfffe5fff}, {20, 16, 0xfffe6, 0xfffedfff},
        {21, 24, 0x1fffdc, 0xffff47ff}, {22, 37, 0x3fffd2, 0xffffafff}, {23, 63, 0x7fffd8, 0xffffe9ff},
        {24, 92, 0xffffea, 0xfffff5ff}, {25, 104, 0x1ffffec, 0xfffff7ff}, {26, 108, 0x3ffffe0, 0xfffffbbf},
        {27, 123, 0x7ffffde, 0xfffffe1f}, {28, 142, 0xfffffe2, 0xffffffef}, {30, 171, 0x3ffffffc, 0xfffffffb},
    };
    static const uint8_t huffman_symbols[174] __attribute__((unused)) = {
        35, 62, 0, 36, 64, 91, 93, 126, 94, 125, 60, 96, 123, 92, 195, 208, 128, 130, 131, 162, 184, 194, 224,
        226, 153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230, 129, 132, 133, 134, 136, 146, 154,
        156, 160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187, 189, 190, 196, 198, 228, 232, 233, 1, 135,
        137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166, 168, 174, 175, 180, 182,
        183, 188, 191, 197, 231, 239, 9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237, 199, 207, 234,
        235, 192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255, 203, 204, 211, 212, 214,
        221, 222, 223, 241, 244, 245, 246, 247, 248, 250, 251, 252, 253, 254, 2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15,
        16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29, 30, 31, 127, 220, 249, 10, 13, 22,
    };
    #endif
    """
    ctypedef struct HuffmanCode:
        uint32_t code
        uint32_t length
    ctypedef struct HuffmanStep:
        uint8_t first
        uint8_t second
        uint8_t bits
        uint8_t count
    ctypedef struct HuffmanRange:
        uint32_t length
        uint32_t symbols
        uint32_t first
        uint32_t last
    const HuffmanCode huffman_codes[256]
    const HuffmanStep huffman_steps[2048]
    const HuffmanRange huffman_ranges[15]
    const uint8_t huffman_symbols[174]
