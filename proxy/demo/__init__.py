"""`tulle demo`: a whole small mesh on this machine, with traffic, to look at and to try things on.

command    its options and what it prints first
show       brings everything up, lets it run, takes it down
processes  the children: backends and the sidecar
backend    what a backend process runs
mesh       the sidecar's configuration, for a given split
canary     moves the split in steps while traffic flows
load       steady traffic of its own
client     one HTTP/1.1 client connection
figures    what the traffic has seen, and sums of it
counters   what the sidecar itself has counted, from its admin address
view       figures as lines; `terminal` and `paint` put them on a screen
"""
