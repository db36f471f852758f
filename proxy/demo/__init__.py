"""`tulle demo`: a whole small mesh on this machine, with traffic, to look at and to try things on.

command      its options
show         brings everything up, lets it run, takes it down
processes    the children: `backend` is what a backend runs (an `application`), `sidecar` the proxy; `speaker`
             hears what a child of Tulle says
mesh         the sidecar's configuration, for a given split
canary       moves the split in steps while traffic flows
load         steady traffic, over connections of `client`
figures      what the traffic has seen; `counters`: what only the sidecar knows
guide        what is printed first
view         figures as lines; `terminal` and `paint` put them on a screen
shop         `tulle demo --mesh`: a control plane, five services, and deployments
"""
