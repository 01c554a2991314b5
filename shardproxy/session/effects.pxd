# C types of effects.py.
from shardproxy.routing.parameters cimport Values
from shardproxy.session.state cimport State

cpdef expect(State session, object statement, Values values)
