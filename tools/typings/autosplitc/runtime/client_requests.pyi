from tools.runtime.client_requests import *
