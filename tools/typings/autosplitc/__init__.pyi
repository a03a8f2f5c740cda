from compiler import *
from compiler import __all__ as __all__
