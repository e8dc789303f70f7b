/**
 * What reads command lines needs of its surroundings.
 */
import type * as CliError from "effect/cli/CliError"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Stdio from "effect/Stdio"
import * as Terminal from "effect/Terminal"
import { printable } from "./ui/format.ts"

/**
 * What the parser of arguments may ask of a platform. It would for prompts and for arguments that name files, both of
 * which this command handles by itself; what Node has for these takes longer to load than the parser.
 */
export const platform = Layer.mergeAll(
  FileSystem.layerNoop({}),
  Path.layer,
  Stdio.layerTest({}),
  Layer.mock(Terminal.Terminal, { "~effect/Terminal": "~effect/Terminal" }),
  Layer.mock(ChildProcessSpawner, {})
)

/** Sentences about mistakes in a command line. */
export const sentencesOf = (errors: ReadonlyArray<CliError.CliError>): ReadonlyArray<string> =>
  errors.flatMap((error) => error.message.split(/\n\s*/)).map(printable)
