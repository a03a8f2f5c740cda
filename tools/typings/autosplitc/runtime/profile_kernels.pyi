from tools.runtime.profile_kernels import *
