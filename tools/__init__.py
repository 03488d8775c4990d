"""The laboratory: the demo, the rehearsal and the recipe of the tiny base. They import vigil, never the reverse."""
