"""Tools for developers: the demo, the rehearsal and the training of the tiny base. Vigil never imports them."""
