/**
 * Shows all schedules: when each runs, what it runs, and how that ended the last time.
 */
import { server } from "./asking.ts"
import { Blank, Broken, Waiting } from "./Blank.tsx"
import { type Schedule, schedules } from "./client.ts"
import { CopyText } from "./CopyText.tsx"
import { useLive } from "./live.ts"
import { type Route, to, withQuery } from "./route.ts"
import { Coming, Last, ScheduleActions, Standing, Times } from "./ScheduleParts.tsx"
import { token } from "./session.ts"
import { counted, printable, word } from "./shown.ts"

export const ScheduleTable = ({ rows }: { readonly rows: ReadonlyArray<Schedule> }) => (
  <table class="schedules">
    <thead>
      <tr>
        <th>Name</th>
        <th>When</th>
        <th>State</th>
        <th>Next</th>
        <th>Last</th>
        <th>What</th>
        {server.value?.isReadOnly === false && (
          <th>
            <span class="unseen">Actions</span>
          </th>
        )}
      </tr>
    </thead>
    <tbody>
      {rows.map((schedule) => (
        <tr key={schedule.name} class="row">
          <th scope="row" class="wrap">
            <a class="title" href={to(["schedules", schedule.name])}>{printable(schedule.name)}</a>
          </th>
          <td>
            <Times schedule={schedule} />
          </td>
          <td>
            <Standing schedule={schedule} />
          </td>
          <td>
            {schedule.state !== "paused" && schedule.next.map((at) => <Coming key={at} at={at} />)}
          </td>
          <td>
            <Last schedule={schedule} />
          </td>
          <td class="wrap">
            <code>{printable(schedule.what)}</code>
          </td>
          {server.value?.isReadOnly === false && (
            <td>
              <ScheduleActions schedule={schedule} />
            </td>
          )}
        </tr>
      ))}
    </tbody>
  </table>
)

/** Only who has a token has a server of `fanout`: an application makes its schedules itself. */
export const NoSchedules = () => (
  <Blank title="There are no schedules yet.">
    {token !== null && server.value !== undefined
      ? (
        <>
          <p>This makes one that copies each night, and it appears here:</p>
          <CopyText
            text={`fanout schedule add nightly --db ${word(server.value.database)} --cron @daily -- ` +
              "copy -T /usr/share /tmp/fanout-demo"}
          />
        </>
      )
      : <p>A program makes one with “JobManager.schedule”.</p>}
  </Blank>
)

export const SchedulesPage = ({ route }: { readonly route: Route }) => {
  const after = route.query.get("after")
  const { error, isStale, value } = useLive(`schedules ${after}`, (signal) => schedules({ after }, signal))
  return (
    <main aria-busy={isStale}>
      <h1>Schedules</h1>
      {value === undefined && (error === undefined ? <Waiting /> : <Broken error={error} />)}
      {value !== undefined &&
        (value.schedules.length === 0 ? <NoSchedules /> : <ScheduleTable rows={value.schedules} />)}
      {value !== undefined && (after !== null || value.next !== null) && (
        <nav class="pages" aria-label="Pages">
          {after !== null && <a href={withQuery(route, { after: null })}>← the first</a>}
          {value.next !== null && <a href={withQuery(route, { after: value.next })}>next →</a>}
          <span>{counted(value.schedules.length, "schedule")} on this page</span>
        </nav>
      )}
    </main>
  )
}
