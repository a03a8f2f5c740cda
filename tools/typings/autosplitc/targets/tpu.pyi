from targets.tpu import *
