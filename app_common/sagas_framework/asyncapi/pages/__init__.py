"""Documents as web pages: a port a service, all from one process.

Belongs here: what a browser is sent. Does not belong here: where documents come from, and what is right or wrong
about them; pages take plain documents and show what is in them, however odd. They need the extra `web`.

    server   the ports, and the process that serves them
    site     the pages of one document, and the map of all
    reading  a document as what the template prints
    words    a JSON Schema as a line of text
    viewer   the official component that draws a document when JavaScript runs, and where it is loaded from
    safety   what a browser may do with these pages
"""
