/**
 * Asks the person at the terminal.
 */
import * as Effect from "effect/Effect"
import * as Host from "../host/Host.ts"
import * as Process from "../host/Process.ts"
import { broken } from "./table.ts"
import { columns } from "./View.ts"

/** Whether somebody is there to answer: what is asked on the standard error is answered on the standard input. */
export const isPossible = (): boolean =>
  Host.currentUnsafe() === undefined && Process.current().stdin.isTTY && Process.current().stderr.isTTY

/** Asks, and gives what was answered; nothing where nobody has. */
const ask = (question: string): Effect.Effect<string> =>
  Effect.flatMap(
    Effect.promise(() => import("node:readline")),
    ({ createInterface }) =>
      Effect.callback<string>((resume) => {
        const reader = createInterface({ input: Process.current().stdin, output: Process.current().stderr })
        // Ctrl-C and Ctrl-D, which close it, are answers too.
        reader.on("close", () => resume(Effect.succeed("")))
        // The reader draws no more than the last line anew, with the answer.
        const lines = broken(question, columns(Process.current().stderr) - 8)
        Process.current().stderr.write(lines.slice(0, -1).map((line) => `${line}\n`).join(""))
        reader.question(`${lines.at(-1)} `, (answer) => {
          resume(Effect.succeed(answer.trim().toLowerCase()))
          reader.close()
        })
        return Effect.sync(() => reader.close())
      })
  )

/** Asks whether something is to be done. Only a yes is one. */
export const confirm = (question: string): Effect.Effect<boolean> =>
  Effect.map(ask(`${question} [y/N]`), (answer) => answer === "y" || answer === "yes")

/** Asks which of some things is to be done, each named by a word or how that begins. Anything else is none of them. */
export const choose = <A extends string>(question: string, words: ReadonlyArray<A>): Effect.Effect<A | undefined> =>
  Effect.map(
    ask(`${question} [${words.join("/")}]`),
    (answer) => answer === "" ? undefined : words.find((word) => word.startsWith(answer))
  )
