/**
 * What reads command lines needs of its surroundings.
 */
import type * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import type { FlagDoc, HelpDoc } from "effect/cli/HelpDoc"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Stdio from "effect/Stdio"
import * as Terminal from "effect/Terminal"
import { stripVTControlCharacters } from "node:util"
import * as Process from "./host/Process.ts"
import { printable } from "./ui/format.ts"
import { complain, hanging } from "./ui/View.ts"

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

/** So many characters of a line, with their colours. */
const coloured = (line: string, length: number): string =>
  new RegExp(String.raw`^(?:(?:\x1b\[[\d;]*m)*[^\x1b]){${length}}`, "u").exec(line)?.[0] ?? ""

/** Help that fits the terminal: what is said of something goes on below itself. No command or comment is broken. */
const helpFor = (text: string, stream: NodeJS.WriteStream): string =>
  text.replace(/(?<=[^\n]\n)(?=\S*EXAMPLES)/, "\n").split("\n").map((line) => {
    const plain = stripVTControlCharacters(line)
    const head = /^ *(?:\S.*? {2,})?/.exec(plain)?.[0] ?? ""
    const rest = plain.slice(head.length)
    if (/^(?:fanout|#) /.test(rest) || rest === "" || head === "") return line
    const text = hanging(coloured(line, head.length), rest, stream)
    return text.includes("\n") ? text : line
  }).join("\n")

/** A flag that takes no value is shown without one. */
const withoutValue = (flag: FlagDoc): FlagDoc => flag.type === "[=boolean]" ? { ...flag, type: "boolean" } : flag

const withoutValues = ({ flags, globalFlags = [], ...rest }: HelpDoc): HelpDoc => ({
  ...rest,
  flags: flags.map(withoutValue),
  globalFlags: globalFlags.map(withoutValue)
})

/** A mistake is answered with a sentence about it; the whole help would bury that. */
export const presenter: CliOutput.Presenter = {
  present: (event) => {
    if (event._tag !== "InvalidInvocation") {
      const { stdout } = Process.current()
      const shown = event._tag === "Help" ? { ...event, helpDoc: withoutValues(event.helpDoc) } : event
      return Effect.updateService(CliOutput.defaultPresenter.present(shown), Console.Console, (console) => ({
        ...console,
        log: (text: string) => void stdout.write(`${helpFor(text, stdout)}\n`)
      }))
    }
    return complain(
      [...sentencesOf(event.errors), `\`${event.commandPath.join(" ")} --help\` tells how it is used.`].join("\n")
    )
  }
}

/** Sentences about mistakes in a command line. */
export const sentencesOf = (errors: ReadonlyArray<CliError.CliError>): ReadonlyArray<string> =>
  errors.flatMap((error) => error.message.split(/\n\s*/)).map(printable)
