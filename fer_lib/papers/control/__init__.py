"""The positive control: a public network whose accuracy on FER2013 is known, trained by the same code."""
