"""Text to token files: bounded memory, exactly tiktoken's tokens. Where to look:

what a user calls
    job         tokenize: a planned job into its directory, from the first block to manifest.json
    task        one job as parts that know nothing of each other
    merge       finished jobs, or the parts of one, joined
    library     ShardWriter and iter_token_blocks, for a prepare.py of one's own
    check/      verify and inspect

what a job is made of
    options     every option that the output depends on
    plan        what a job is, before any of it is done
    pipeline    sources → blocks → ids, within a budget
    progress    how far a job is
    budget      how --max-memory is divided (pure); headroom: what the machine leaves; memory: what is in use
    tuning      sizes and times that change neither tokens nor files
    input/      files → documents → blocks that begin and end at safe cuts
    engine/     blocks → ids, on threads
    output/     ids → files, with a journal that --resume goes on from; token files read back

Imports go this way: input → engine, output → plan → pipeline → job → task, library; check reads what output wrote.
"""
