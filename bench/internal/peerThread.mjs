export default ({ n }) => n
