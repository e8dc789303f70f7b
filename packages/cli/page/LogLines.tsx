/**
 * Shows the log of a job, the newest line last, as a terminal would.
 */
import { Blank, Broken, Waiting } from "./Blank.tsx"
import { log } from "./client.ts"
import { useLive } from "./live.ts"
import { printableLines } from "./shown.ts"
import { Moment } from "./Time.tsx"

export const LogLines = ({ id }: { readonly id: string }) => {
  const { error, value } = useLive(id, (signal) => log(id, signal))
  if (value === undefined) return error === undefined ? <Waiting /> : <Broken error={error} />
  return value.length === 0 ? <Blank title="Its log is empty." /> : (
    <section>
      <h2 class="unseen">Log</h2>
      <ol class="log">
        {value.map(({ at, level, message, seq }) => (
          <li key={seq} class={level.toLowerCase()}>
            <Moment at={at} />
            <span class="level">{level.toLowerCase()}</span>
            <span class="wrap">{printableLines(message)}</span>
          </li>
        ))}
      </ol>
    </section>
  )
}
