"""The kinds of forward: one file, one kind, each under the name `KIND`. A kind only says how a stream begins."""
