from passes.drop_identities import *
