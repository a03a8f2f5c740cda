from tools.runtime.run_results import *
