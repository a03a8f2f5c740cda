from tools.runtime.run_summary import *
