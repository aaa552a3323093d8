"""What runs a trial, under the Python that trains: copied into every sweep, so the standard library and Python 3.8.

Its modules, from bottom to top:

    storage, places                     files of JSON; where a trial's files are
    processes, slurm_job                which process is which; what Slurm says of a job
    trial_state, claims                 the state of a trial; who may run it, and which attempt counts
    fingerprints, intact, checks        data and capsule are what they were
    training_environment, host          what a training is given; what machine and packages it has
    import_audit                        which modules a training loads, seen from inside it
    signals, delivery, supervise        a training while it runs
    attempt, bad_node, slurm_task       one attempt; one task of a Slurm job
    main                                the command line

`bundle` puts them into one file, whose beginning and end is `standalone`.
"""
