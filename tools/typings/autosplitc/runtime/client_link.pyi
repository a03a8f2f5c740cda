from tools.runtime.client_link import *
