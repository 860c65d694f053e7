//go:build !race

package http1

// idleBudget is what an idle connection may take of the heap and the stacks, in bytes. It takes
// about 1,050, half of that in net; the rest is for what varies: no stack would fit.
const idleBudget = 1500
