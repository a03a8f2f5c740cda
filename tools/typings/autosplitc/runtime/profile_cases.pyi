from tools.runtime.profile_cases import *
