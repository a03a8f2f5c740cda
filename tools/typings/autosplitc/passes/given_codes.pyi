from passes.given_codes import *
