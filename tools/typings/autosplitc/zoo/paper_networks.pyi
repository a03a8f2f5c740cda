from tools.zoo.paper_networks import *
