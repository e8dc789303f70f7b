/**
 * Shows how a process uses its pools and threads, and the workers of its cluster. A bar in another colour says that
 * tasks wait.
 */
import type { TaskTimes } from "./client.ts"
import { count, printable, rate, span } from "./shown.ts"

interface UseProperties {
  readonly used: number
  readonly of: number
  readonly waiting: number
  readonly what: string
}

const Use = ({ of, used, waiting, what }: UseProperties) => (
  <>
    {count(used)} of {count(of)}
    <progress
      class={`share ${waiting > 0 ? "paused" : "running"}`}
      max={1}
      value={of === 0 ? 0 : Math.min(1, used / of)}
      aria-label={`${count(used)} of ${count(of)} ${what}`}
    />
  </>
)

export const PoolTable = ({ pools }: Pick<TaskTimes, "pools">) => (
  <table class="pools">
    <thead>
      <tr>
        <th>Pool</th>
        <th>Permits taken</th>
        <th class="number">Tasks waiting</th>
        <th>Size</th>
      </tr>
    </thead>
    <tbody>
      {pools.map(({ bounds, held, name, size, waiting }) => (
        <tr key={name}>
          <th scope="row" class="wrap">{printable(name)}</th>
          <td>
            <Use used={held} of={size} waiting={waiting} what={`permits of ${printable(name)} are taken`} />
          </td>
          <td class="number">{count(waiting)}</td>
          <td>{bounds === null ? "fixed" : `between ${count(bounds.least)} and ${count(bounds.most)}`}</td>
        </tr>
      ))}
    </tbody>
  </table>
)

export const ThreadTable = ({ threads }: Pick<TaskTimes, "threads">) => (
  <table class="pools">
    <thead>
      <tr>
        <th>Tasks</th>
        <th>Threads busy</th>
        <th class="number">Tasks waiting</th>
        <th class="number ended">Tasks ended</th>
        <th>Threads lost</th>
      </tr>
    </thead>
    <tbody>
      {threads.map(({ abandoned, busy, ended, lost, name, queued, size }) => (
        <tr key={name}>
          <th scope="row" class="wrap">{printable(name)}</th>
          <td>
            <Use used={busy} of={size} waiting={queued} what={`threads for ${printable(name)} are busy`} />
          </td>
          <td class="number">{count(queued)}</td>
          <td class="number ended">{count(ended)}</td>
          <td>
            {lost + abandoned === 0 ? "none" : count(lost)}
            {abandoned > 0 && `, ${count(abandoned)} held by the system`}
          </td>
        </tr>
      ))}
    </tbody>
  </table>
)

const figure = (value: number | null, text: (value: number) => string) => value === null ? "" : text(value)

export const WorkerTable = ({ workers }: Pick<TaskTimes, "workers">) => (
  <table class="workers">
    <thead>
      <tr>
        <th>Worker</th>
        <th class="number">Tasks in hand</th>
        <th class="number">Rate</th>
        <th class="number ended">Tasks ended</th>
        <th>Last word</th>
        <th>State</th>
      </tr>
    </thead>
    <tbody>
      {workers.map(({ address, ended, inHand, perSecond, silentMillis, stateText }) => (
        <tr key={address}>
          <th scope="row" class="wrap">{printable(address)}</th>
          <td class="number">{figure(inHand, count)}</td>
          <td class="number">{figure(perSecond, (all) => rate("items", all))}</td>
          <td class="number ended">{figure(ended, count)}</td>
          <td>{figure(silentMillis, (millis) => millis < 1000 ? "just now" : `${span(millis)} ago`)}</td>
          <td class="wrap">{printable(stateText)}</td>
        </tr>
      ))}
    </tbody>
  </table>
)
