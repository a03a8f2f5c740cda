from tools.runtime.client_wire import *
