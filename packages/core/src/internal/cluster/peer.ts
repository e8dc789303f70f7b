/**
 * One side of a connection between an owner and a worker: it sends what is new, receives, and hears of silence.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { nowMillis } from "../task/deadlines.ts"
import { brief, Disconnected, Refused, type Wire } from "./wire.ts"

/** Each side says something at least so often. */
const saysMillis = 1000
/** How often a side looks whether the other one is silent. */
const listenMillis = 250

/** Reads a message, unless it is something else. */
export const read = <A>(codec: { readonly decode: (text: string) => A }, text: string): Effect.Effect<A, Refused> =>
  Effect.try({
    try: () => codec.decode(text),
    catch: (error) => new Refused({ why: `it sent no greeting: ${brief(error)}` })
  })

/** Each message after the greeting has its number in front. A message that is lost or doubled ends the connection. */
export abstract class Peer {
  readonly clock: Clock.Clock
  private sent = 0
  private received = 0
  /** When the other side said something last, and this one, on the monotonic clock of this process. */
  heardAt: number
  private saidAt: number
  private readonly news = Latch.makeUnsafe(false)

  constructor(clock: Clock.Clock) {
    this.clock = clock
    this.heardAt = this.saidAt = nowMillis(clock)
  }

  /** The connection is over once the other side was silent for so long. */
  protected abstract readonly silenceMillis: number

  /** Takes a message. It throws where that is none of this protocol, or the connection is to end. */
  protected abstract receive(text: string): void

  /** What is to be told, in as many messages as it takes. */
  protected abstract takeTexts(): ReadonlyArray<string>

  /** Notes that there is something to tell. All news of a turn of the event loop go together. */
  protected noteNews(): void {
    this.news.openUnsafe()
  }

  private withoutNumber(text: string): string {
    const number = `${this.received++} `
    if (!text.startsWith(number)) throw new Error(`message ${number}is missing`)
    return text.slice(number.length)
  }

  /** Sends and receives until the connection is over. */
  talk(wire: Wire): Effect.Effect<never, Disconnected | Refused> {
    const receiving = wire.receive.pipe(
      Effect.flatMap((text) =>
        Effect.try({
          try: () => {
            this.heardAt = nowMillis(this.clock)
            this.receive(this.withoutNumber(text))
          },
          catch: (error) =>
            error instanceof Disconnected
              ? error
              : new Refused({ why: `it sent what is no message: ${brief(error)}` })
        })
      ),
      Effect.forever
    )
    const sending = this.news.await.pipe(
      Effect.andThen(Effect.yieldNow),
      Effect.andThen(Effect.suspend(() => {
        this.news.closeUnsafe()
        this.saidAt = nowMillis(this.clock)
        return Effect.forEach(this.takeTexts(), (text) => wire.send(`${this.sent++} ${text}`), { discard: true })
      })),
      Effect.forever
    )
    const silent = new Disconnected({ why: `it was silent for ${this.silenceMillis / 1000} s` })
    let listenedAt = nowMillis(this.clock)
    let arrived = 0
    const listening = Effect.sleep(listenMillis).pipe(
      Effect.andThen(Effect.suspend(() => {
        const now = nowMillis(this.clock)
        // While this process was too busy to listen, nobody was silent.
        this.heardAt = Math.min(now, this.heardAt + Math.max(0, now - listenedAt - listenMillis))
        listenedAt = now
        const bytes = wire.arrivedUnsafe?.() ?? 0
        if (bytes > arrived) this.heardAt = now
        arrived = bytes
        if (now - this.saidAt >= saysMillis) this.noteNews()
        return now - this.heardAt > this.silenceMillis ? Effect.fail(silent) : Effect.void
      })),
      Effect.forever
    )
    return Effect.raceAllFirst([receiving, sending, listening])
  }
}
