"""Files, directories, pipes and URLs → documents → blocks of text that begin and end where no token is cut."""
