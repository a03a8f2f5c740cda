from tools.runtime.admission import *
