/**
 * `fanout new`: writes packages to begin with.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { printable } from "../ui/format.ts"
import { print } from "../ui/View.ts"

const job = Command.make(
  "job",
  {
    name: Argument.String("NAME").pipe(
      Argument.withDescription("Name of the package, and of the folder that is made for it here")
    )
  },
  ({ name }) =>
    Effect.gen(function*() {
      const { write } = yield* Effect.promise(() => import("../NewPackage.ts"))
      yield* write(name)
      yield* print(`Wrote ${printable(name)}: a job of your own, with tests that kill it. Now run:`)
      for (const line of [`cd ${name}`, "npm install", "npm test", "npm start"]) yield* print(`  ${line}`)
    })
).pipe(Command.withDescription("Write a package with a job that survives crashes, and its tests"))

/** `fanout new` with all its subcommands. */
export const create = Command.make("new").pipe(
  Command.withDescription("Write a package to begin with"),
  Command.withExamples([
    { command: "fanout new job send-letters", description: "Write a package with a job to ./send-letters" }
  ]),
  Command.withSubcommands([job])
)
