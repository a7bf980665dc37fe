#include <greet.h>
#include <stdio.h>

#ifdef SHOUT
#define MARK "!"
#else
#define MARK ","
#endif

int main(void)
{
	printf("%s" MARK " built with %s\n", greeting(), BUILT_WITH);
#ifdef __AVX2__
	puts("the compiler was free to use AVX2");
#elif defined __x86_64__
	puts("the compiler kept away from AVX2");
#endif
	return 0;
}
