from tests.unit.runtime.link_peer import *
