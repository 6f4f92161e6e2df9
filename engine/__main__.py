"""``python -m engine``: the analyses from the command line."""

from engine.command_line import main

if __name__ == "__main__":
    main(prog_name="python -m engine")
