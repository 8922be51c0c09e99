"""Text → token ids: encodings, the engines that encode, and the threads that they run on."""
