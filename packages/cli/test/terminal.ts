import * as Effect from "effect/Effect"
import { stripVTControlCharacters } from "node:util"

const streams = ["stdout", "stderr"] as const

/** Has the process write to a terminal of so many columns, and gives what is on it afterwards, without its colours. */
export const onTerminal = <E, R>(columns: number, run: Effect.Effect<unknown, E, R>): Effect.Effect<string, E, R> =>
  Effect.suspend(() => {
    let text = ""
    const before = streams.map((name) => ({ name, isTTY: process[name].isTTY, columns: process[name].columns }))
    const writes = streams.map((name) => process[name].write.bind(process[name]))
    for (const name of streams) {
      const write: typeof process.stdout.write = (chunk: string | Uint8Array) => {
        text += typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk)
        return true
      }
      Object.assign(process[name], { isTTY: true, columns, write })
    }
    const restore = Effect.sync(() => {
      for (const [n, { name, ...was }] of before.entries()) Object.assign(process[name], { ...was, write: writes[n] })
    })
    return run.pipe(Effect.ensuring(restore), Effect.map(() => stripVTControlCharacters(text)))
  })
