"""What master and worker say to each other is one language, written down twice."""

import re
import struct
from pathlib import Path

from tulle.proxy.protocol import LAYOUT, Control, ControlMessage

DECLARED = (Path(__file__).parents[2] / "_fast/flow/control.pxd").read_text()


def test_numbers_are_the_same() -> None:
    declared = {name: int(number) for name, number in re.findall(r"CONTROL_([A-Z]+) = (\d+)", DECLARED)}
    assert declared == {control.name: control.value for control in Control}


def test_layout_is_the_same() -> None:
    structure = DECLARED[DECLARED.index("cdef struct ControlMessage") :]
    sizes = {"uint32_t": "I", "uint64_t": "Q"}
    fields = re.findall(r"^    (uint\d+_t) (\w+)", structure, re.MULTILINE)
    assert [name for _, name in fields] == list(ControlMessage._fields)
    assert struct.Struct("=" + "".join(sizes[kind] for kind, _ in fields)).format == LAYOUT.format


def test_a_message_comes_back() -> None:
    message = ControlMessage(Control.INSTALL, 7, 1 << 40, (1 << 64) - 1)
    assert ControlMessage.unpack(message.pack()) == message
