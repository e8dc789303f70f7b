import * as Effect from "effect/Effect"
import { stripVTControlCharacters } from "node:util"
import * as Process from "../src/host/Process.ts"
import { writtenProcess } from "./writtenProcess.ts"

/** Gives what is on a terminal of so many columns after something has run that writes there, without its colours. */
export const onTerminal = <E, R>(columns: number, run: Effect.Effect<unknown, E, R>): Effect.Effect<string, E, R> =>
  Effect.suspend(() => {
    const { self, written } = writtenProcess({ columns })
    return Effect.map(Effect.provideService(run, Process.Current, self), () => stripVTControlCharacters(written.all))
  })
