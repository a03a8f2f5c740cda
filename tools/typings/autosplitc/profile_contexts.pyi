from compiler.profile_contexts import *
