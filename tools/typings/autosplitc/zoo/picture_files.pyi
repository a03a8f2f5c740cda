from tools.zoo.picture_files import *
