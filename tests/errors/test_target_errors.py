"""What a user reads who mistypes a target."""

from __future__ import annotations

import pytest

from autosplitc.ir import EXIT_USAGE, CompileError
from autosplitc.targets import load_target

CASES = {
    "eyeris": """\
error[AS410]: unknown target 'eyeris'
  hint: did you mean "eyeriss"?""",
    "eyeriss:": """\
error[AS414]: options are missing after ':'
  --> target 'eyeriss:'
  hint: eyeriss:ram=8MB, or eyeriss alone""",
    "eyeriss:row=16": """\
error[AS414]: target 'eyeriss' has no option 'row'
  --> target 'eyeriss:row=16'
  hint: did you mean "rows"?""",
    "eyeriss:rows": """\
error[AS414]: option 'rows' needs a value
  --> target 'eyeriss:rows'
  hint: rows=VALUE""",
    "eyeriss:rows=1.5": """\
error[AS414]: option 'rows' cannot be '1.5'
  --> target 'eyeriss:rows=1.5'
  hint: rows=16""",
    "eyeriss:rows=0": """\
error[AS414]: target 'eyeriss' refuses these options: rows must be above zero, not 0
  --> target 'eyeriss:rows=0'""",
    "eyeriss:rows=3,rows=4": """\
error[AS414]: option 'rows' is given twice
  --> target 'eyeriss:rows=3,rows=4'
  hint: give it once""",
    "eyeriss:clock=250": """\
error[AS402]: clock '250' has no unit
  --> target 'eyeriss:clock=250'
  hint: did you mean 250MHz?""",
    "eyeriss:ram=-8MB": """\
error[AS402]: ram '-8MB' must be above zero
  --> target 'eyeriss:ram=-8MB'
  hint: for example 3MB""",
    "eyeriss:dataflow=sw": """\
error[AS414]: option 'dataflow' cannot be 'sw'
  --> target 'eyeriss:dataflow=sw'
  hint: known: is, os, ws""",
    "eyeriss:overlap=yes": """\
error[AS414]: option 'overlap' cannot be 'yes'
  --> target 'eyeriss:overlap=yes'
  hint: overlap=true or overlap=false""",
    "eyeriss:weight-bits=8/4": """\
error[AS414]: target 'eyeriss' refuses these options: weight_bits is (8, 4), not a tuple of bit-widths from 1 to 8, ascending
  --> target 'eyeriss:weight-bits=8/4'""",
}


@pytest.mark.parametrize("text", CASES)
def test_target_errors(text: str) -> None:
    with pytest.raises(CompileError) as caught:
        load_target(text)
    assert str(caught.value) == CASES[text]
    assert caught.value.exit_code == EXIT_USAGE
