from targets.eyeriss import *
