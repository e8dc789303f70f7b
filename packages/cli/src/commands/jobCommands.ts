/**
 * The subcommands that start jobs.
 */
import { copy } from "./copy.ts"
import { remove } from "./delete.ts"
import { hash } from "./hash.ts"
import { metadata } from "./metadata.ts"
import { move } from "./move.ts"
import { thumbnail } from "./thumbnail.ts"
import { verify } from "./verify.ts"

/** Each of them starts one job, or goes on with the one that the same command has started before. */
export const jobCommands = [copy, move, remove, hash, verify, thumbnail, metadata] as const
