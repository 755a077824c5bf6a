"""The words of SEC Appendix AK as frozen types. Nothing here does I/O or imports a library."""
