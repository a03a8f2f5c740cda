from tests.unit.runtime.fake_server import *
