"""Tests of sightsound.decoders."""
