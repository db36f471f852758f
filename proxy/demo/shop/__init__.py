"""`tulle demo --mesh`: a shop of five services under a control plane, and a rolling deployment in it.

show         brings everything up, lets it run, takes it down
network      addresses of this machine's own, one for each instance
services     which services there are; `page`, `advice`, `stock` and `backend` are what serves them
documents    the mesh as its documents, and what each sidecar is begun with
plane        the control plane, its CA, its join tokens, and `tulle apply`
instance     an application and its sidecar, from its token to its end; `estate`: all of them
rollout      one version after the other, beside traffic
view         figures as lines; `guide`: what is printed first; `ejected`: what only a sidecar knows
"""
