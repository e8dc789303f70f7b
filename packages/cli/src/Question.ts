/**
 * Asks the person at the terminal.
 */
import * as Effect from "effect/Effect"
import { createInterface } from "node:readline"

/** Whether somebody is there to answer: what is asked on the standard error is answered on the standard input. */
export const isPossible = (): boolean => process.stdin.isTTY && process.stderr.isTTY

/** Asks whether something is to be done. Only a yes is one. */
export const confirm = (question: string): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const reader = createInterface({ input: process.stdin, output: process.stderr })
    // Ctrl-C and Ctrl-D, which close it, are answers too.
    reader.on("close", () => resume(Effect.succeed(false)))
    reader.question(`${question} [y/N] `, (answer) => {
      resume(Effect.succeed(/^y(?:es)?$/i.test(answer.trim())))
      reader.close()
    })
    return Effect.sync(() => reader.close())
  })
