"""The configuration: YAML to frozen values, and every mistake at once with its place.

``document`` reads YAML into a tree that knows positions; ``model`` says what the options are; ``explain`` and
``rules`` say what is wrong; ``load`` is the way in; ``assemble`` turns the model into other packages' values;
``live`` compares the configuration with the servers. No other package knows YAML.
"""
