from compiler.profile_kit import *
